"""What a person asks for, each a short story that calls the other rooms: fit, measure, tiles, batch, and the commands.

Here at the top stands what several of them need: the settings that are checked at the door, the folder that results go
to, files that carry their own digest and SIGTERM. No arithmetic on pixels enters, and nothing of the rooms below.
"""
