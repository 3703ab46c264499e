"""The kernel's interfaces that the fabric uses: system calls, netlink, TUN devices, shaping."""
