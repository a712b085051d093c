#include "house-sim/line_port.hpp"

#include <array>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <system_error>
#include <termios.h>
#include <unistd.h>

#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace house_sim {

namespace {

using namespace std::chrono_literals;

constexpr auto look_again = 50ms;
constexpr std::size_t most_unsent = 4096;

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(fmt::format("{}: {}", what, std::system_category().message(errno)));
}

struct Terminal {
    int fd = -1;
    std::string device;
};

// Raw, so that no byte is changed, echoed or held back until a newline.
Terminal open_terminal() {
    Terminal terminal;
    terminal.fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (terminal.fd < 0 || grantpt(terminal.fd) != 0 || unlockpt(terminal.fd) != 0) {
        fail("pseudo terminal");
    }
    std::array<char, 128> name{};
    if (ptsname_r(terminal.fd, name.data(), name.size()) != 0) {
        fail("pseudo terminal");
    }
    terminal.device = name.data();
    termios settings{};
    if (tcgetattr(terminal.fd, &settings) != 0) {
        fail(terminal.device);
    }
    cfmakeraw(&settings);
    cfsetspeed(&settings, B9600);
    if (tcsetattr(terminal.fd, TCSANOW, &settings) != 0) {
        fail(terminal.device);
    }
    return terminal;
}

void make_link(const std::string& path, const std::string& device) {
    const std::filesystem::path link(path);
    if (link.has_parent_path()) {
        std::filesystem::create_directories(link.parent_path());
    }
    if (std::filesystem::is_symlink(link)) {
        std::filesystem::remove(link);  // left behind by a run that was killed
    } else if (std::filesystem::exists(link)) {
        throw std::runtime_error(fmt::format("line.pty: {} exists and is not a symlink", path));
    }
    std::filesystem::create_symlink(device, link);
}

}  // namespace

struct LinePort::Impl : std::enable_shared_from_this<LinePort::Impl> {
    Impl(asio::io_context& io, OnBytes handler)
        : terminal(io), retry(io), acceptor(io), client(io), on_bytes(std::move(handler)) {}

    void read_terminal() {
        terminal.async_read_some(asio::buffer(from_terminal),
                                 [self = weak_from_this()](const asio::error_code& error, std::size_t size) {
                                     if (const auto port = self.lock(); port && !port->closed) {
                                         port->on_terminal_read(error, size);
                                     }
                                 });
    }

    // The other side of a terminal reads as an I/O error while nobody has it open.
    void on_terminal_read(const asio::error_code& error, std::size_t size) {
        if (!error) {
            on_bytes(std::span(from_terminal).first(size));
            read_terminal();
            return;
        }
        retry.expires_after(look_again);
        retry.async_wait([self = weak_from_this()](const asio::error_code& wait_error) {
            if (const auto port = self.lock(); port && !port->closed && !wait_error) {
                port->read_terminal();
            }
        });
    }

    bool someone_has_terminal() {
        pollfd state{.fd = terminal.native_handle(), .events = POLLOUT, .revents = 0};
        return poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) == 0 && (state.revents & POLLOUT) != 0;
    }

    void accept() {
        acceptor.async_accept([self = weak_from_this()](const asio::error_code& error, asio::ip::tcp::socket socket) {
            if (const auto port = self.lock(); port && !port->closed && !error) {
                // A newer connection is the same master after a restart.
                port->client = std::move(socket);
                port->unsent.clear();
                asio::error_code ignored;
                port->client.set_option(asio::ip::tcp::no_delay(true), ignored);
                ++port->connection;
                port->read_client(port->connection);
                port->accept();
            }
        });
    }

    void read_client(int number) {
        client.async_read_some(asio::buffer(from_client),
                               [self = weak_from_this(), number](const asio::error_code& error, std::size_t size) {
                                   const auto port = self.lock();
                                   if (!port || port->closed || number != port->connection) {
                                       return;
                                   }
                                   if (error) {
                                       asio::error_code ignored;
                                       port->client.close(ignored);
                                       return;
                                   }
                                   port->on_bytes(std::span(port->from_client).first(size));
                                   port->read_client(number);
                               });
    }

    void write_client(std::span<const std::uint8_t> bytes) {
        if (unsent.size() + bytes.size() > most_unsent) {
            return;  // a client that does not read misses what is said
        }
        const bool idle = unsent.empty();
        unsent.insert(unsent.end(), bytes.begin(), bytes.end());
        if (idle) {
            flush_client();
        }
    }

    void flush_client() {
        auto chunk = std::make_shared<Bytes>(unsent.begin(), unsent.end());
        asio::async_write(
            client, asio::buffer(*chunk),
            [self = weak_from_this(), chunk, number = connection](const asio::error_code& error, std::size_t) {
                const auto port = self.lock();
                if (!port || port->closed || error || number != port->connection) {
                    return;
                }
                port->unsent.erase(port->unsent.begin(),
                                   port->unsent.begin() + static_cast<std::ptrdiff_t>(chunk->size()));
                if (!port->unsent.empty()) {
                    port->flush_client();
                }
            });
    }

    asio::posix::stream_descriptor terminal;
    asio::steady_timer retry;
    std::string link;
    std::array<std::uint8_t, 512> from_terminal{};
    asio::ip::tcp::acceptor acceptor;
    asio::ip::tcp::socket client;
    std::array<std::uint8_t, 512> from_client{};
    std::deque<std::uint8_t> unsent;
    int connection = 0;
    bool closed = false;
    OnBytes on_bytes;
};

LinePort::LinePort(asio::io_context& io, const LineConfig& config, const std::string& host, OnBytes on_bytes)
    : impl_(std::make_shared<Impl>(io, std::move(on_bytes))) {
    if (!config.pty.empty()) {
        const Terminal terminal = open_terminal();
        impl_->terminal.assign(terminal.fd);
        make_link(config.pty, terminal.device);
        impl_->link = config.pty;
        impl_->read_terminal();
    }
    if (config.tcp_port) {
        const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(host),
                                               static_cast<std::uint16_t>(*config.tcp_port));
        impl_->acceptor.open(endpoint.protocol());
        impl_->acceptor.set_option(asio::ip::tcp::acceptor::reuse_address(true));
        impl_->acceptor.bind(endpoint);
        impl_->acceptor.listen();
        impl_->accept();
    }
}

LinePort::~LinePort() {
    impl_->closed = true;
    if (!impl_->link.empty()) {
        std::error_code ignored;
        std::filesystem::remove(impl_->link, ignored);
    }
}

void LinePort::write(std::span<const std::uint8_t> bytes) {
    if (impl_->terminal.is_open() && impl_->someone_has_terminal()) {
        // What does not fit is lost, as with any reader that does not keep up with a serial line.
        if (::write(impl_->terminal.native_handle(), bytes.data(), bytes.size()) < 0) {
            spdlog::debug("line: a reader does not keep up");
        }
    }
    if (impl_->client.is_open()) {
        impl_->write_client(bytes);
    }
}

std::optional<int> LinePort::tcp_port() const {
    return impl_->acceptor.is_open() ? std::optional<int>(impl_->acceptor.local_endpoint().port()) : std::nullopt;
}

}  // namespace house_sim
