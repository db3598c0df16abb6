"""File formats and encodings that the datasets share."""
