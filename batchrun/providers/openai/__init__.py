"""OpenAI, and servers that speak like it: a Messages body goes in, and a message comes out."""
