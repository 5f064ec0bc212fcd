"""How long a lab is without a leader: rounds of lost leaders, their times, and how those are shown."""
