"""gRPC servers, asked by the health checking protocol."""
