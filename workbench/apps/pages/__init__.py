"""The Panel pages, one file a page; the file name is the address."""
