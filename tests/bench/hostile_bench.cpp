// A client with a front end's password publishes random payloads to every topic that it may write:
//
//   build/bin/hostile-bench [number of payloads, default 100000] [seed]
//
// Ends with 1 when a service ended, a limit was broken, a refusal was not counted or memory grew by 10 MiB.

#include <iostream>

#include <fmt/format.h>

#include "integration/hostile_client.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

bool expect(bool holds, const std::string& what) {
    std::cout << fmt::format("{}: {}\n", what, holds ? "yes" : "NO");
    return holds;
}

bool check_memory(Stack& stack, const std::map<std::string, double>& warm) {
    bool all = true;
    for (const auto& [name, before] : warm) {
        const double now = resident_mib(stack.process(name).pid());
        std::cout << fmt::format("{:14} resident {:5.1f} MiB warm, {:5.1f} MiB at the end\n", name, before, now);
        all = all && now < before + 10;
    }
    return expect(all, "memory grew by less than 10 MiB each");
}

bool run(int payloads, unsigned seed) {
    Stack stack;
    if (!stack.charges()) {
        throw std::runtime_error("no car charges:\n" + stack.logs());
    }
    HostileClient client(stack, seed);
    const auto begin = Clock::now();
    client.attack(payloads / 10);
    std::map<std::string, double> warm;
    for (const auto& name : Stack::services) {
        warm[name] = resident_mib(stack.process(name).pid());
    }
    client.attack(payloads - payloads / 10);
    const double took_s = std::chrono::duration<double>(Clock::now() - begin).count();
    bool good = expect(client.metrics_agree(), "every command is counted, every refusal published");
    std::cout << fmt::format("{} payloads in {:.0f} s, seed {}\n", payloads, took_s, seed);
    for (const auto& [service, count] : client.counts()) {
        std::cout << fmt::format("{:14} {} commands: {} accepted, {} refused, {} refusals published\n", service,
                                 count.sent, count.accepted, count.rejected, count.rejected_events);
    }
    client.flood(10s);
    std::cout << fmt::format("then {} payloads in 10 s without waiting for answers\n", client.flooded());
    good = expect(client.all_answer(60s), "all answer again") && good;
    for (const auto& name : Stack::services) {
        good = expect(stack.process(name).running(), name + " still runs") && good;
    }
    good = check_memory(stack, warm) && good;
    good = expect(stack.highest_wire_a() <= Stack::wiring_a, "no limit above the wiring's on the line") && good;
    const double gap_s = longest_heartbeat_gap_s(stack);
    return expect(gap_s < 2, fmt::format("longest gap between heartbeats {:.2f} s, below 2 s", gap_s)) && good;
}

}  // namespace

int main(int argc, char** argv) {
    std::cout << std::unitbuf;
    try {
        return run(argc > 1 ? std::stoi(argv[1]) : 100000, argc > 2 ? static_cast<unsigned>(std::stoul(argv[2])) : 1)
                   ? 0
                   : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
