"""Labeled Faces in the Wild: fetching it, and saying what a copy of it lacks."""

from facesearch.lfw.checking import FolderCheck, LfwCheck, check_folder
from facesearch.lfw.fetching import LfwPlace, fetch_lfw

__all__ = ["FolderCheck", "LfwCheck", "LfwPlace", "check_folder", "fetch_lfw"]
