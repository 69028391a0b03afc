"""Settings to run folders: whole experiments, put together from the other rooms."""
