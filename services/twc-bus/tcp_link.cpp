#include "twc-bus/tcp_link.hpp"

#include <netinet/tcp.h>

#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "twc-bus/stream_pump.hpp"

namespace twc_bus {

namespace {

using asio::ip::tcp;

constexpr std::chrono::seconds connect_timeout{5};
constexpr int unacknowledged_ms = 5000;

}  // namespace

struct TcpLink::Impl final : public StreamPump<tcp::socket, Impl> {
    Impl(asio::io_context& context, std::string host_name, std::string port_name, std::string scheme_name)
        : StreamPump(context),
          resolver(context),
          patience(context),
          host(std::move(host_name)),
          port(std::move(port_name)),
          scheme(std::move(scheme_name)) {}

    void try_to_open() {
        patience.expires_after(connect_timeout);
        patience.async_wait([self = shared_from_this(), attempt = generation()](const asio::error_code& error) {
            if (!error && !self->closed() && attempt == self->generation()) {
                self->resolver.cancel();
                self->failed(self->describe("no answer"));
            }
        });
        resolver.async_resolve(host, port,
                               [self = shared_from_this(), attempt = generation()](
                                   const asio::error_code& error, const tcp::resolver::results_type& found) {
                                   if (self->closed() || attempt != self->generation()) {
                                       return;
                                   }
                                   if (error) {
                                       self->give_up(error);
                                       return;
                                   }
                                   self->connect(found, attempt);
                               });
    }

    void connect(const tcp::resolver::results_type& found, std::uint64_t attempt) {
        asio::async_connect(stream(), found,
                            [self = shared_from_this(), attempt](const asio::error_code& error, const tcp::endpoint&) {
                                if (self->closed() || attempt != self->generation()) {
                                    return;
                                }
                                if (error) {
                                    self->give_up(error);
                                    return;
                                }
                                self->patience.cancel();
                                self->tune();
                                self->opened();
                            });
    }

    void give_up(const asio::error_code& error) {
        patience.cancel();
        failed(describe(error.message()));
    }

    // Small frames at once; a bridge that lost power is noticed although nothing is sent back.
    void tune() {
        asio::error_code ignored;
        stream().set_option(tcp::no_delay(true), ignored);
        stream().set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>(unacknowledged_ms),
                            ignored);
    }

    std::string describe(const std::string& problem) const {
        return fmt::format("{}://{}:{}: {}", scheme, host, port, problem);
    }
    std::string lost_because(const std::string& error) const { return describe("lost (" + error + ")"); }

    tcp::resolver resolver;
    asio::steady_timer patience;
    std::string host;
    std::string port;
    std::string scheme;
};

TcpLink::TcpLink(scheduling::EventLoop& loop, std::string host, std::string port, std::string scheme)
    : impl_(std::make_shared<Impl>(loop.io(), std::move(host), std::move(port), std::move(scheme))) {}

// Asio throws when memory has run out: then the process ends anyway.
TcpLink::~TcpLink() { TcpLink::close(); }  // NOLINT(bugprone-exception-escape)

void TcpLink::open(Handlers handlers) { impl_->open(std::move(handlers)); }
void TcpLink::close() {
    impl_->resolver.cancel();
    impl_->patience.cancel();
    impl_->close();
}
void TcpLink::write(Bytes bytes) { impl_->write(std::move(bytes)); }

}  // namespace twc_bus
