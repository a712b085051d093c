#include "home_assistant/discovery.hpp"

#include <utility>

#include <spdlog/spdlog.h>

namespace home_assistant {

namespace {

using namespace std::chrono_literals;

// The broker sends what it keeps right after the subscription.
constexpr auto look_for = 3s;
// Home Assistant unloads and loads entities one after the other.
constexpr auto migration_step = 2s;
// By then chargers are linked and what others keep in the broker has arrived.
constexpr auto settle_after = 30s;
// Far beyond what a house has: a stranger may fill our branch.
constexpr std::size_t most_documents = 5000;

}  // namespace

Discovery::Discovery(const service::Environment& environment, Describe describe, std::function<void()> repeat_states)
    : environment_(environment),
      announcer_{.service = environment.name,
                 .site = environment.site,
                 .prefix = environment.home_assistant.prefix,
                 .status_topic = environment.topics.service_status(environment.name)},
      describe_(std::move(describe)),
      repeat_states_(std::move(repeat_states)),
      step_(environment.loop),
      birth_(environment.loop),
      settled_(environment.loop),
      scope_(environment.loop) {
    auto& bus = environment_.bus;
    bus.subscribe(scope_, documents_filter(announcer_), 1,
                  [this](const messaging::Delivery& delivery) { on_document(delivery); });
    if (environment_.home_assistant.form != Form::off) {
        bus.subscribe(scope_, announcer_.prefix + "/status", 1,
                      [this](const messaging::Delivery& delivery) { on_birth(delivery); });
    }
    bus.on_connection_change(scope_, [this](bool connected) { on_connection(connected); });
    on_connection(bus.connected());
}

void Discovery::refresh() {
    if (phase_ == Phase::running) {
        announce(false);
    }
}

void Discovery::on_connection(bool connected) {
    if (phase_ != Phase::looking) {
        return;  // the bus itself restores after a reconnect what we have published
    }
    if (connected) {
        step_.set_after(look_for, [this] { end_look(); });
    } else {
        step_.cancel();
    }
}

void Discovery::on_document(const messaging::Delivery& delivery) {
    const bool is_of_interest = phase_ == Phase::looking && delivery.retained && announced_.size() < most_documents;
    if (!is_of_interest) {
        return;
    }
    if (delivery.payload == migration_document) {
        interrupted_.insert(delivery.topic);
    } else if (is_ours(announcer_, delivery.payload)) {
        announced_[delivery.topic] = delivery.payload;
    }
}

void Discovery::on_birth(const messaging::Delivery& delivery) {
    // Kept by the broker it says nothing about now, and all that we publish is kept there too.
    if (delivery.payload != "online" || delivery.retained) {
        return;
    }
    // Not everybody at the same moment; but in a simulation always at the same.
    constexpr std::uint64_t spread_ms = 4000;
    const auto spread = (std::hash<std::string>{}(environment_.name) + 977 * ++births_) % spread_ms;
    birth_.set_after(1s + std::chrono::milliseconds(spread), [this] {
        if (phase_ == Phase::running) {
            announce(true);
            repeat_states_();
        }
    });
}

void Discovery::end_look() {
    const auto devices = describe_();
    for (const Form form : {Form::entity, Form::device}) {
        for (const auto& [topic, payload] : documents(announcer_, form, devices)) {
            if (interrupted_.contains(topic)) {
                announced_.try_emplace(topic, migration_document);
            }
        }
    }
    interrupted_.clear();
    std::vector<std::string> old_topics;
    std::erase_if(announced_, [&](const auto& item) {
        const bool is_old = form_of(announcer_, item.first) != environment_.home_assistant.form;
        if (is_old) {
            old_topics.push_back(item.first);
        }
        return is_old;
    });
    if (environment_.home_assistant.form == Form::off) {
        phase_ = Phase::running;
        for (const auto& topic : old_topics) {
            send(topic, "");
        }
        return;
    }
    if (old_topics.empty()) {
        settle();
    } else {
        migrate(std::move(old_topics));
    }
}

void Discovery::migrate(std::vector<std::string> old_topics) {
    phase_ = Phase::migrating;
    spdlog::info("Home Assistant: {} documents of the other form are replaced", old_topics.size());
    for (const auto& topic : old_topics) {
        send(topic, migration_document);
    }
    step_.set_after(migration_step, [this, old_topics = std::move(old_topics)] {
        announce(true);
        step_.set_after(migration_step, [this, old_topics] {
            for (const auto& topic : old_topics) {
                send(topic, "");
            }
            step_.set_after(migration_step, [this] { settle(); });
        });
    });
}

void Discovery::settle() {
    phase_ = Phase::running;
    announce(true);
    settled_.set_after(settle_after, [this] {
        is_settled_ = true;
        announce(false);
    });
}

void Discovery::announce(bool everything) {
    const auto wanted = documents(announcer_, environment_.home_assistant.form, describe_());
    bool removes_components = false;
    for (const auto& [topic, payload] : wanted) {
        const auto before = std::exchange(announced_[topic], payload);
        if (everything || before != payload) {
            const auto document = with_removals(before, payload);
            removes_components = removes_components || document != payload;
            send(topic, document);
        }
    }
    if (removes_components) {
        step_.set_after(migration_step, [this] { announce(true); });
    }
    if (is_settled_) {
        std::erase_if(announced_, [&](const auto& item) {
            const bool is_gone = !wanted.contains(item.first);
            if (is_gone) {
                send(item.first, "");
            }
            return is_gone;
        });
    }
}

void Discovery::send(const std::string& topic, const std::string& payload) {
    environment_.bus.publish({.topic = topic, .payload = payload, .retained = true, .qos = 1});
}

}  // namespace home_assistant
