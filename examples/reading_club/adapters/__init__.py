"""The world around the club: here it is memory."""
