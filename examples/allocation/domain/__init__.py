"""What is true about stock, whoever stores it and whoever asks. It knows nothing of databases and web servers."""
