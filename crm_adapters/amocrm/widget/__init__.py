"""The files of the amoCRM and Kommo widget, as `archive.widget_archive` packs them for one connection."""
