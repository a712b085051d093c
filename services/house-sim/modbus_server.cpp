#include "house-sim/modbus_server.hpp"

#include <array>
#include <stdexcept>

#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include "house-sim/modbus_image.hpp"

namespace house_sim {

struct ModbusServer::Impl : std::enable_shared_from_this<ModbusServer::Impl> {
    Impl(asio::io_context& io, Answer handler) : acceptor(io), answer(std::move(handler)) {}

    void accept();

    asio::ip::tcp::acceptor acceptor;
    Answer answer;
};

/// Lives as long as its client stays and the server does.
class ModbusServer::Connection : public std::enable_shared_from_this<ModbusServer::Connection> {
public:
    Connection(asio::ip::tcp::socket socket, std::weak_ptr<Impl> server)
        : socket_(std::move(socket)), server_(std::move(server)) {}

    void read() {
        socket_.async_read_some(asio::buffer(chunk_),
                                [self = shared_from_this()](const asio::error_code& error, std::size_t size) {
                                    if (!error) {
                                        self->on_read(size);
                                    }
                                });
    }

private:
    void on_read(std::size_t size) {
        buffer_.insert(buffer_.end(), chunk_.begin(), chunk_.begin() + static_cast<std::ptrdiff_t>(size));
        const auto server = server_.lock();
        if (!server) {
            return;
        }
        auto replies = std::make_shared<Bytes>();
        try {
            for (std::size_t length = modbus_frame_length(buffer_); length > 0; length = modbus_frame_length(buffer_)) {
                if (const auto reply = server->answer(std::span(buffer_).first(length))) {
                    replies->insert(replies->end(), reply->begin(), reply->end());
                }
                buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(length));
            }
        } catch (const std::invalid_argument&) {
            return;  // not our protocol: dropping the connection is the answer
        }
        if (replies->empty()) {
            read();
            return;
        }
        asio::async_write(socket_, asio::buffer(*replies),
                          [self = shared_from_this(), replies](const asio::error_code& error, std::size_t) {
                              if (!error) {
                                  self->read();
                              }
                          });
    }

    asio::ip::tcp::socket socket_;
    std::weak_ptr<Impl> server_;
    std::array<std::uint8_t, 512> chunk_{};
    Bytes buffer_;
};

void ModbusServer::Impl::accept() {
    acceptor.async_accept([self = weak_from_this()](const asio::error_code& error, asio::ip::tcp::socket socket) {
        const auto server = self.lock();
        if (server && !error) {
            std::make_shared<Connection>(std::move(socket), self)->read();
            server->accept();
        }
    });
}

ModbusServer::ModbusServer(asio::io_context& io, const std::string& host, int port, Answer answer)
    : impl_(std::make_shared<Impl>(io, std::move(answer))) {
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(host), static_cast<std::uint16_t>(port));
    impl_->acceptor.open(endpoint.protocol());
    impl_->acceptor.set_option(asio::ip::tcp::acceptor::reuse_address(true));
    impl_->acceptor.bind(endpoint);
    impl_->acceptor.listen();
    impl_->accept();
}

ModbusServer::~ModbusServer() = default;

int ModbusServer::port() const { return impl_->acceptor.local_endpoint().port(); }

}  // namespace house_sim
