"""The page and the HTTP interface of one store, for ``facesearch serve``.

Only this room knows FastAPI, Starlette and uvicorn. What is asked is answered by the same functions
as the commands use; here are the ways to them, and what keeps strangers out.
"""
