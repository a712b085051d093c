#include "ems-bridge/modbus.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <modbus.h>

namespace ems_bridge {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Servers drop idle connections after some two minutes without telling; a new one is cheaper than a failed read.
constexpr auto longest_idle = std::chrono::seconds(60);

enum class Table { holding, input };

struct CloseContext {
    void operator()(modbus_t* context) const {
        modbus_close(context);
        modbus_free(context);
    }
};
using Context = std::unique_ptr<modbus_t, CloseContext>;

struct Query {
    Table table;
    int unit;
    int address;
    int count;
};

int exception_code(int error) {
    const int code = error - MODBUS_ENOBASE;
    return code >= MODBUS_EXCEPTION_ILLEGAL_FUNCTION && code < MODBUS_EXCEPTION_MAX ? code : 0;
}

void set_timeouts(modbus_t* context, milliseconds timeout) {
    constexpr std::int64_t milliseconds_per_second = 1000;
    const auto seconds = static_cast<std::uint32_t>(timeout.count() / milliseconds_per_second);
    const auto microseconds = static_cast<std::uint32_t>(timeout.count() % milliseconds_per_second * 1000);
    modbus_set_response_timeout(context, seconds, microseconds);
    modbus_set_byte_timeout(context, seconds, microseconds);
}

// One TCP connection, used by one thread at a time. libmodbus takes a late answer for the next request's, for ever:
// so every failure but a Modbus exception ends the connection.
class Connection {
public:
    std::vector<std::uint16_t> read(const ModbusEndpoint& endpoint, const Query& query) {
        const std::scoped_lock lock(turn_);
        if (context_ && Clock::now() - last_used_ > longest_idle) {
            context_.reset();
        }
        if (!context_) {
            connect(endpoint);
        }
        std::this_thread::sleep_until(last_used_ + endpoint.min_gap);
        set_timeouts(context_.get(), endpoint.timeout);
        std::vector<std::uint16_t> registers(static_cast<std::size_t>(query.count));
        const int received = request(query, registers.data());
        const int error = errno;
        last_used_ = Clock::now();
        if (received != query.count) {
            fail(endpoint, query, error);
        }
        return registers;
    }

private:
    int request(const Query& query, std::uint16_t* registers) {
        errno = 0;
        if (modbus_set_slave(context_.get(), query.unit) != 0) {
            return -1;
        }
        return query.table == Table::holding
                   ? modbus_read_registers(context_.get(), query.address, query.count, registers)
                   : modbus_read_input_registers(context_.get(), query.address, query.count, registers);
    }

    void connect(const ModbusEndpoint& endpoint) {
        if (lost_at_) {
            std::this_thread::sleep_until(*lost_at_ + endpoint.reconnect_delay);
        }
        // modbus_new_tcp knows IPv4 literals only.
        Context fresh(modbus_new_tcp_pi(endpoint.host.c_str(), std::to_string(endpoint.port).c_str()));
        if (!fresh) {
            throw SourceError(ErrorKind::transport,
                              fmt::format("Modbus {}:{}: {}", endpoint.host, endpoint.port, modbus_strerror(errno)));
        }
        set_timeouts(fresh.get(), endpoint.timeout);
        errno = 0;
        if (modbus_connect(fresh.get()) != 0) {
            const int error = errno;
            lost_at_ = Clock::now();
            throw SourceError(ErrorKind::transport,
                              fmt::format("Modbus {}:{}: no connection: {}", endpoint.host, endpoint.port,
                                          error != 0 ? modbus_strerror(error) : "host not found"));
        }
        context_ = std::move(fresh);
        std::this_thread::sleep_for(endpoint.connect_delay);
        last_used_ = Clock::now() - endpoint.min_gap;
    }

    [[noreturn]] void fail(const ModbusEndpoint& endpoint, const Query& query, int error) {
        const std::string what = fmt::format("Modbus {}:{} unit {}: {} of {} {} registers from {}", endpoint.host,
                                             endpoint.port, query.unit, modbus_strerror(error), query.count,
                                             query.table == Table::holding ? "holding" : "input", query.address);
        if (const int code = exception_code(error); code != 0) {
            throw ModbusException(what, code);
        }
        context_.reset();
        lost_at_ = Clock::now();
        throw SourceError(ErrorKind::transport, what);
    }

    std::mutex turn_;
    Context context_;
    Clock::time_point last_used_;
    std::optional<Clock::time_point> lost_at_;
};

class TcpModbusClient final : public ModbusClient {
public:
    TcpModbusClient(ModbusEndpoint endpoint, std::shared_ptr<Connection> connection)
        : endpoint_(std::move(endpoint)), connection_(std::move(connection)) {}

    std::vector<std::uint16_t> read_holding(int unit, int address, int count) override {
        return connection_->read(endpoint_, {Table::holding, unit, address, count});
    }
    std::vector<std::uint16_t> read_input(int unit, int address, int count) override {
        return connection_->read(endpoint_, {Table::input, unit, address, count});
    }

private:
    ModbusEndpoint endpoint_;
    std::shared_ptr<Connection> connection_;
};

}  // namespace

struct TcpModbusClientFactory::Connections {
    std::mutex mutex;
    std::map<std::pair<std::string, int>, std::shared_ptr<Connection>> by_address;
};

TcpModbusClientFactory::TcpModbusClientFactory() : connections_(std::make_shared<Connections>()) {}

std::unique_ptr<ModbusClient> TcpModbusClientFactory::make_client(const ModbusEndpoint& endpoint) {
    const std::scoped_lock lock(connections_->mutex);
    auto& connection = connections_->by_address[{endpoint.host, endpoint.port}];
    if (!connection) {
        connection = std::make_shared<Connection>();
    }
    return std::make_unique<TcpModbusClient>(endpoint, connection);
}

}  // namespace ems_bridge
