"""mode=static: files of a folder, served as file servers do. No process of the function's own runs."""
