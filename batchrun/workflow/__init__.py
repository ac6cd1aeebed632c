"""What the commands do, without printing.

Whatever asks the API is awaited. Planning and publishing work on local files and await nothing, so that Ctrl-C can
end them at once. No module here runs an event loop or listens to signals: the caller does.
"""
