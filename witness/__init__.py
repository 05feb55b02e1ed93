"""A witness of logs (C2SP tlog-witness): a separate program with its own key and its own state.

It keeps, of each log that its operator added, the latest tree, and cosigns a checkpoint only if
that tree is proved to have grown into the new one. So a log that shows different trees to different
people finds no witness for the second of them. It knows nothing of the server: it shares
`consent.formats` with it and nothing else.
"""
