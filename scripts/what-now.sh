#!/bin/sh
# What a person can do after `make demo`.
cat <<'END'

labctl is in .venv/bin; `. .venv/bin/activate` puts it into this shell's reach. What now:

  labctl status                 who leads, who follows
  labctl logs --follow --raft   the servers' Raft lines as they come
  labctl stop --server consul1  take a server away and watch the others
  labctl down                   remove the lab, all of it
END
