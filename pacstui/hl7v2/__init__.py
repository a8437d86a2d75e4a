"""HL7 v2: what the RIS and other systems say, how it is taken, kept and answered, and what is told to them."""
