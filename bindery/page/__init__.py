"""From a notebook to a page: executing, comparing, and what makes a page stale."""
