"""What will be sent and what it costs, before a cent is spent. Pure: from values to values, no clock, no network."""
