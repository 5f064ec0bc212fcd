"""What a user sees: the same facts as tables, coloured lines, steps or JSON."""
