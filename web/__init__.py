"""The surfaces: the chat page, the reader, the HTTP routes and the command. Knows no ranking."""
