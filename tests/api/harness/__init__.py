"""What the API tests stand on: the processes under test, plain HTTP, raw sockets, and waiting without sleeping blindly."""
