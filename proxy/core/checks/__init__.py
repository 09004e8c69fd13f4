"""The checks: each holds one kind of claim against what was measured. Which claim needs which is examine's business."""
