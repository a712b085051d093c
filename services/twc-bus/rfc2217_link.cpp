#include "twc-bus/rfc2217_link.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace twc_bus {

namespace {

// Whoever configures the server now finds the line up soon, and one with raw bytes is not flooded with negotiations.
constexpr std::chrono::seconds delay_after_refusal{1};

}  // namespace

Rfc2217Link::Rfc2217Link(scheduling::EventLoop& loop, const std::string& host, const std::string& port)
    : loop_(loop), name_(fmt::format("rfc2217://{}:{}", host, port)), timer_(loop), tcp_(loop, host, port, "rfc2217") {}

void Rfc2217Link::open(Handlers handlers) {
    handlers_ = std::move(handlers);
    last_reason_.clear();
    connect();
}

void Rfc2217Link::close() {
    handlers_ = {};
    timer_.cancel();
    tcp_.close();
    telnet_.reset();
}

void Rfc2217Link::write(Bytes bytes) {
    if (telnet_) {
        if (auto escaped = telnet_->outgoing(bytes, loop_.now()); !escaped.empty()) {
            tcp_.write(std::move(escaped));
        }
    }
}

void Rfc2217Link::connect() {
    tcp_.open({.bytes = [this](std::span<const std::uint8_t> bytes) { on_bytes(bytes); },
               .up = [this] { on_connected(); },
               .down = [this](const std::string& reason) { on_lost(reason); }});
}

void Rfc2217Link::on_connected() {
    telnet_.emplace(loop_.now());
    tcp_.write(Rfc2217::opening());
    timer_.set(*telnet_->deadline(), [this] { on_time(); });
}

void Rfc2217Link::on_bytes(std::span<const std::uint8_t> bytes) {
    if (!telnet_) {
        return;
    }
    const auto before = telnet_->state();
    auto heard = telnet_->receive(bytes, loop_.now());
    if (!heard.reply.empty()) {
        tcp_.write(std::move(heard.reply));
    }
    follow(before);
    if (!heard.payload.empty() && handlers_.bytes) {
        handlers_.bytes(heard.payload);
    }
}

void Rfc2217Link::on_time() {
    const auto before = telnet_->state();
    telnet_->on_time(loop_.now());
    follow(before);
}

void Rfc2217Link::follow(Rfc2217::State before) {
    const auto state = telnet_->state();
    if (state == Rfc2217::State::failed) {
        const auto reason = fmt::format("{}: {}", name_, telnet_->problem());
        reconnect_later();
        report_down(reason);
    } else if (state == Rfc2217::State::negotiating) {
        timer_.set(*telnet_->deadline(), [this] { on_time(); });
    } else if (before != state) {
        report_up();
    }
}

void Rfc2217Link::on_lost(const std::string& reason) {
    if (!telnet_ && timer_.pending()) {
        return;  // given up already, with a better reason
    }
    if (telnet_ && telnet_->state() == Rfc2217::State::negotiating) {
        reconnect_later();
        report_down(reason + " before the serial port was set; is another program connected to it?");
        return;
    }
    timer_.cancel();
    telnet_.reset();
    report_down(reason);
}

// Not at once: this may run inside a handler of the connection, which closing would destroy.
void Rfc2217Link::reconnect_later() {
    telnet_.reset();
    timer_.set(loop_.now(), [this] {
        tcp_.close();
        timer_.set_after(delay_after_refusal, [this] { connect(); });
    });
}

void Rfc2217Link::report_up() {
    timer_.cancel();
    last_reason_.clear();
    if (!telnet_->unconfirmed().empty() && !warned_) {
        warned_ = true;
        spdlog::warn("{}: never confirmed {}, expected an answer within 3 s; used as it is", name_,
                     telnet_->unconfirmed());
    }
    if (handlers_.up) {
        handlers_.up();
    }
}

void Rfc2217Link::report_down(const std::string& reason) {
    if (reason != last_reason_ && handlers_.down) {
        last_reason_ = reason;
        const auto down = handlers_.down;
        down(reason);
    }
}

}  // namespace twc_bus
