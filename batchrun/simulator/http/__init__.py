"""What the simulated API says over HTTP: the server, its paths, and the headers of every response."""
