"""What the commands of `labctl workshop` do, step by step."""
