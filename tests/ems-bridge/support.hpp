#pragma once

#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "config/section.hpp"
#include "ems-bridge/mapping.hpp"
#include "ems-bridge/registers.hpp"
#include "ems-bridge/source.hpp"
#include "http/http_client.hpp"
#include "support/local_zone.hpp"

namespace ems_bridge::test {

/// Registers as text: a line is `address: HEX WORDS…` (address decimal or 0x…); `default 0` makes the rest readable.
struct Registers {
    std::map<int, std::uint16_t> words;
    bool readable_everywhere = false;
};

inline Registers parse_registers(const std::string& text) {
    Registers registers;
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line)) {
        if (line == "default 0") {
            registers.readable_everywhere = true;
            continue;
        }
        const auto colon = line.find(':');
        if (colon == std::string::npos) {
            continue;
        }
        int address = std::stoi(line.substr(0, colon), nullptr, 0);
        std::istringstream words(line.substr(colon + 1));
        std::string word;
        while (words >> word) {
            registers.words[address++] = static_cast<std::uint16_t>(std::stoi(word, nullptr, 16));
        }
    }
    return registers;
}

inline RegisterImage image_of(const std::string& text) {
    RegisterImage image;
    for (const auto& [address, word] : parse_registers(text).words) {
        image.store(address, std::vector{word});
    }
    return image;
}

/// A Modbus device in memory: what was not given is an illegal data address.
class FakeModbus final : public ModbusClientFactory {
public:
    std::map<int, Registers> units;
    std::vector<std::string> requests;
    std::function<void()> before_each = [] {};

    std::unique_ptr<ModbusClient> make_client(const ModbusEndpoint& /*endpoint*/) override {
        ++clients_made;
        return std::make_unique<Client>(*this);
    }
    int clients_made = 0;

private:
    class Client final : public ModbusClient {
    public:
        explicit Client(FakeModbus& device) : device_(device) {}
        std::vector<std::uint16_t> read_holding(int unit, int address, int count) override {
            return read("holding", unit, address, count);
        }
        std::vector<std::uint16_t> read_input(int unit, int address, int count) override {
            return read("input", unit, address, count);
        }

    private:
        std::vector<std::uint16_t> read(const std::string& table, int unit, int address, int count) {
            device_.requests.push_back(table + " " + std::to_string(address) + "+" + std::to_string(count));
            device_.before_each();
            const auto found = device_.units.find(unit);
            if (found == device_.units.end()) {
                throw ModbusException("no such unit", 11);
            }
            std::vector<std::uint16_t> words;
            for (int i = address; i < address + count; ++i) {
                const auto word = found->second.words.find(i);
                if (word == found->second.words.end() && !found->second.readable_everywhere) {
                    throw ModbusException("illegal data address " + std::to_string(i), illegal_data_address);
                }
                words.push_back(word == found->second.words.end() ? std::uint16_t{0} : word->second);
            }
            return words;
        }
        FakeModbus& device_;
    };
};

/// A web server in memory.
class FakeHttp final : public http::HttpClientFactory {
public:
    std::function<http::Response(const http::Request&)> answer = [](const http::Request& request) -> http::Response {
        throw http::TransportError(request.url + ": nobody there");
    };
    std::vector<http::Request> requests;
    std::vector<http::TlsTrust> trusts;

    std::unique_ptr<http::HttpClient> make_client(const http::TlsTrust& trust) override {
        trusts.push_back(trust);
        return std::make_unique<Client>(*this);
    }

private:
    class Client final : public http::HttpClient {
    public:
        explicit Client(FakeHttp& server) : server_(server) {}
        http::Response send(const http::Request& request) override {
            server_.requests.push_back(request);
            return server_.answer(request);
        }

    private:
        FakeHttp& server_;
    };
};

/// Central European, unless said otherwise.
class Zone : support::LocalZone {
public:
    explicit Zone(const char* name = "CET-1CEST,M3.5.0,M10.5.0/3") : LocalZone(name) {}
};

inline contract::WallTime at(const char* time) { return contract::parse_timestamp(time).value(); }

/// The mapping of a YAML text; throws ConfigError.
inline mapping::Mapping mapping_of(const std::string& yaml) {
    const config::Document document(yaml, "test.yaml");
    auto mapping = mapping::read_mapping(document.root());
    document.finish();
    return mapping;
}

}  // namespace ems_bridge::test
