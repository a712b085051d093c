#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include <asio/buffer.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>

#include "twc-bus/byte_link.hpp"

namespace twc_bus {

/// What both links share: reading for ever, writing in order, telling up and down, and waiting before the next try.
/// `Stream` is any asio stream. `Derived` opens it in `try_to_open`. Kept alive by its pending operations, which do
/// nothing once it is closed; `generation_` tells operations on an earlier stream from those on this one.
template <class Stream, class Derived>
class StreamPump : public std::enable_shared_from_this<Derived> {
public:
    template <class Context>
    explicit StreamPump(Context& context) : stream_(context), retry_(context) {}

    void open(ByteLink::Handlers handlers) {
        handlers_ = std::move(handlers);
        closed_ = false;
        start_opening();
    }

    void close() {
        closed_ = true;
        handlers_ = {};
        retry_.cancel();
        shut();
    }

    void write(Bytes bytes) {
        // More than a second's worth waiting: the device hangs, and old frames must not come out late.
        constexpr std::size_t longest_queue = 32;
        if (closed_ || !is_up_ || queue_.size() >= longest_queue) {
            return;
        }
        queue_.push_back(std::make_shared<const Bytes>(std::move(bytes)));
        if (queue_.size() == 1) {
            write_next();
        }
    }

protected:
    Stream& stream() { return stream_; }
    bool closed() const { return closed_; }
    std::uint64_t generation() const { return generation_; }

    void opened() {
        is_up_ = true;
        last_reason_.clear();
        delay_ = first_delay;
        if (handlers_.up) {
            handlers_.up();
        }
        read_next();
    }

    void failed(const std::string& reason) {
        shut();
        if (closed_) {
            return;
        }
        retry_.expires_after(delay_);
        delay_ = std::min(delay_ * 2, longest_delay);
        retry_.async_wait([self = this->shared_from_this()](const asio::error_code& error) {
            if (!error && !self->closed_) {
                self->start_opening();
            }
        });
        if (reason != last_reason_ && handlers_.down) {
            last_reason_ = reason;
            const auto down = handlers_.down;
            down(reason);
        }
    }

private:
    static constexpr std::chrono::milliseconds first_delay{100};
    static constexpr std::chrono::milliseconds longest_delay{1000};

    void start_opening() {
        // Posted, so that handlers never run inside open().
        asio::post(stream_.get_executor(), [self = this->shared_from_this()] {
            if (!self->closed_) {
                self->try_to_open();
            }
        });
    }

    void shut() {
        ++generation_;
        is_up_ = false;
        queue_.clear();
        asio::error_code ignored;
        stream_.close(ignored);
    }

    void read_next() {
        stream_.async_read_some(asio::buffer(input_), [self = this->shared_from_this(), generation = generation_](
                                                          const asio::error_code& error, std::size_t size) {
            if (self->closed_ || generation != self->generation_) {
                return;
            }
            if (error) {
                self->failed(self->lost_because(error.message()));
                return;
            }
            self->handlers_.bytes(std::span(self->input_).first(size));
            if (!self->closed_ && generation == self->generation_) {
                self->read_next();
            }
        });
    }

    void write_next() {
        const auto bytes = queue_.front();
        asio::async_write(stream_, asio::buffer(*bytes),
                          [self = this->shared_from_this(), bytes, generation = generation_](
                              const asio::error_code& error, std::size_t /*size*/) {
                              if (self->closed_ || generation != self->generation_) {
                                  return;
                              }
                              if (error) {
                                  self->failed(self->lost_because(error.message()));
                                  return;
                              }
                              self->queue_.pop_front();
                              if (!self->queue_.empty()) {
                                  self->write_next();
                              }
                          });
    }

    Stream stream_;
    asio::steady_timer retry_;
    ByteLink::Handlers handlers_;
    std::array<std::uint8_t, 256> input_{};
    std::deque<std::shared_ptr<const Bytes>> queue_;
    std::string last_reason_;
    std::chrono::milliseconds delay_ = first_delay;
    std::uint64_t generation_ = 0;
    bool is_up_ = false;
    bool closed_ = true;
};

}  // namespace twc_bus
