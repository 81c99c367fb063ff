"""The subcommands of ``cpuaccel``, one file each: ``add`` describes one to argparse, ``run`` returns its exit code."""
