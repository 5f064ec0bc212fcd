"""Make a machine fit for labs: say what is missing, install it, bring what is downloaded."""
