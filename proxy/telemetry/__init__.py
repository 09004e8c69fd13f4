"""What Earwitness tells the outside: metrics, the log and traces. It reads what the core counted; the core knows nothing of it."""
