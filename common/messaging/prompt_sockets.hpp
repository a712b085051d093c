#pragma once

namespace messaging {

/// Lets every TCP connection of this process to that port send at once what it is given (`TCP_NODELAY`), and returns
/// how many there are. Otherwise the kernel holds back a small packet until the one before it is acknowledged, which
/// the other side delays by 40 ms when it has nothing to say. Debian 12's Paho 1.3.12 neither sets this nor shows its
/// socket; Paho sets it from 1.3.16 on.
int send_at_once_to(int port);

}  // namespace messaging
