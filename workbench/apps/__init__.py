"""What a person opens: Panel pages, the HTML report, and the launcher that serves them."""
