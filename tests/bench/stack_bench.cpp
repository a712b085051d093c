// What the running stack costs and how fast it reacts, with the real processes, broker and bus bytes:
//
//   build/bin/stack-bench [number of reactions]
//
// Reaction: from the moment a pushed meter sample leaves the publisher to the first byte-complete frame on the wire
// that carries another limit. Memory and processor: three chargers on the line, no car, nothing to decide.

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <random>
#include <set>
#include <sstream>
#include <unistd.h>

#include <fmt/format.h>

#include "figures.hpp"
#include "integration/stack.hpp"

namespace {

using namespace std::chrono_literals;
using bench::Cost;
using bench::cost_of;
using bench::percentile;
using Clock = std::chrono::steady_clock;

constexpr double volts = 230;

void replace_from(Stack& stack, const std::string& file, const std::string& marker, const std::string& text) {
    std::ifstream stream(stack.folder / file);
    const std::string old{std::istreambuf_iterator<char>(stream), {}};
    stack.folder.write(file, old.substr(0, old.find(marker)) + text);
}

// The memory of several processes, in pages: those of the same place in the same file are one and the same.
struct Pages {
    std::set<std::pair<std::string, std::uint64_t>> of_files;  ///< Device and inode, offset.
    std::uint64_t own = 0;
};

void add_pages(int pid, Pages& pages) {
    constexpr std::uint64_t is_present = std::uint64_t{1} << 63U;
    constexpr std::uint64_t is_of_a_file = std::uint64_t{1} << 61U;
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    std::ifstream maps(fmt::format("/proc/{}/maps", pid));
    const int pagemap = open(fmt::format("/proc/{}/pagemap", pid).c_str(), O_RDONLY);
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        char dash = 0;
        std::string rights;
        std::string device;
        std::string inode;
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        std::uint64_t offset = 0;
        words >> std::hex >> begin >> dash >> end >> rights >> offset >> device >> inode;
        std::vector<std::uint64_t> entries((end - begin) / page);
        // Whole entries only: streams read what fills their buffer.
        const auto bytes = pread(pagemap, entries.data(), entries.size() * sizeof(std::uint64_t),
                                 static_cast<off_t>(begin / page * sizeof(std::uint64_t)));
        entries.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes) / sizeof(std::uint64_t));
        for (const auto entry : entries) {
            if ((entry & is_present) != 0 && (entry & is_of_a_file) != 0) {
                pages.of_files.emplace(device + " " + inode, offset);
            } else if ((entry & is_present) != 0) {
                ++pages.own;
            }
            offset += page;
        }
    }
    close(pagemap);
}

void measure_reaction(int wanted) {
    Stack stack;
    stack.stop("ems-bridge");
    replace_from(stack, "ems-bridge.yaml",
                 "sources:", "sources:\n  - {name: push, type: push, roles: [grid], stale_after_s: 60}\n");
    stack.start("ems-bridge");
    // Again and again: policy-engine relies on a sample for a few seconds only.
    const auto patience = Clock::now() + 60s;
    bool charges = false;
    while (!charges && Clock::now() < patience) {
        stack.probe.publish("twc/ems/input/grid_power/set", "-2000");
        charges = stack.charges(500ms);
    }
    if (!charges) {
        throw std::runtime_error("no car charges:\n" + stack.logs());
    }
    std::mt19937 random(1);
    std::vector<double> lowered_ms;
    std::vector<double> raised_ms;
    while (static_cast<int>(lowered_ms.size()) < wanted) {
        const double before_a = stack.wire_a();
        const double target_a = std::uniform_int_distribution(7, 20)(random);
        const double grid_w = (stack.drawn_a() - target_a) * volts;
        const auto asked_at = Clock::now();
        stack.probe.publish("twc/ems/input/grid_power/set", fmt::format("{:.0f}", grid_w));
        const bool changed = support::eventually([&] { return stack.wire_a() != before_a; }, 2s);
        const auto limits = stack.tap.limits();
        const auto first = std::ranges::find_if(
            limits, [&](const auto& limit) { return limit.at > asked_at && limit.amps != before_a; });
        if (changed && first != limits.end()) {
            const double ms = std::chrono::duration<double, std::milli>(first->at - asked_at).count();
            (first->amps < before_a ? lowered_ms : raised_ms).push_back(ms);
        }
        // The car follows, and the phase against the one-second heartbeat is another one each time.
        const auto next = asked_at + std::chrono::milliseconds(std::uniform_int_distribution(1500, 2500)(random));
        support::eventually([&] { return Clock::now() >= next; }, 5s);
    }
    std::cout << fmt::format("reaction, limit lowered: n {} median {:.1f} ms, p99 {:.1f} ms, max {:.1f} ms\n",
                             lowered_ms.size(), percentile(lowered_ms, 0.5), percentile(lowered_ms, 0.99),
                             percentile(lowered_ms, 1));
    if (!raised_ms.empty()) {
        std::cout << fmt::format("reaction, limit raised:  n {} median {:.1f} ms, p99 {:.1f} ms\n", raised_ms.size(),
                                 percentile(raised_ms, 0.5), percentile(raised_ms, 0.99));
    }
}

void measure_rest() {
    Stack stack;
    stack.stop("house-sim");
    std::ifstream stream(stack.folder / "house-sim.yaml");
    std::string house{std::istreambuf_iterator<char>(stream), {}};
    const auto cars = house.find("cars:");
    house.insert(cars, "  - {id: \"7745\", protocol: 2}\n  - {id: \"7746\", protocol: 2}\n");
    const auto script = house.find("script:");
    house.erase(script, house.find("ports:") - script);
    stack.folder.write("house-sim.yaml", house);
    stack.start("house-sim");
    if (!support::eventually([&] { return stack.field("twc/bus/state", "chargers").size() == 3; }, 60s)) {
        throw std::runtime_error("three chargers do not link:\n" + stack.logs());
    }
    constexpr auto window = 60s;
    std::map<std::string, Cost> before;
    for (const auto& name : Stack::services) {
        before[name] = cost_of(stack.process(name).pid());
    }
    const auto end = Clock::now() + window;
    support::eventually([&] { return Clock::now() >= end; }, window + 5s);
    Cost sum;
    Pages pages;
    for (const auto& name : Stack::services) {
        const Cost now = cost_of(stack.process(name).pid());
        const double percent = 100 * (now.cpu_s - before[name].cpu_s) / std::chrono::duration<double>(window).count();
        std::cout << fmt::format("{:14} resident {:5.1f} MiB, {:.2f} % of a core\n", name, now.resident_mib, percent);
        sum.resident_mib += now.resident_mib;
        sum.cpu_s += now.cpu_s - before[name].cpu_s;
        add_pages(stack.process(name).pid(), pages);
    }
    std::cout << fmt::format("{:14} resident {:5.1f} MiB, {:.2f} % of a core\n", "sum", sum.resident_mib,
                             100 * sum.cpu_s / std::chrono::duration<double>(window).count());
    const auto count = static_cast<double>(pages.of_files.size() + pages.own);
    std::cout << fmt::format("{:14} resident {:5.1f} MiB: what several of them have in memory counted once\n",
                             "together", count * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20));
}

}  // namespace

int main(int argc, char** argv) {
    std::cout << std::unitbuf;
    try {
        measure_rest();
        measure_reaction(argc > 1 ? std::stoi(argv[1]) : 100);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
