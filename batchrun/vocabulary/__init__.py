"""The vocabulary that tokens are counted with, as published; see NOTICE. Nothing but package data belongs here."""
