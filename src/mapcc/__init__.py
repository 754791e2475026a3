"""The command `mapcc`: what is measured, and how it is shown."""
