"""What Earwitness tells the outside: metrics and the log. It reads what the core counted; the core knows nothing of it."""
