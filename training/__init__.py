"""How the shipped weights were made, from data to file, by one command each."""
