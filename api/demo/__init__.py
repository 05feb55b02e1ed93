"""What a demonstration needs beside the server itself."""
