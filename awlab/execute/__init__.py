"""The pool that runs a plan. Its process never imports torch and never touches a GPU."""
