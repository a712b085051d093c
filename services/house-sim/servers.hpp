#pragma once

#include <memory>

#include "house-sim/house_sim.hpp"

namespace scheduling {
class EventLoop;
}

namespace house_sim {

/// Every socket and terminal of the simulated house, and the ready file that tells where they are.
class Servers {
public:
    /// Throws when something cannot be listened on.
    Servers(HouseSim& house, scheduling::EventLoop& loop);
    Servers(const Servers&) = delete;
    Servers& operator=(const Servers&) = delete;
    /// Removes the ready file and the symlink of the terminal.
    ~Servers();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace house_sim
