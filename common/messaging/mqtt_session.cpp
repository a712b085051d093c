#include "messaging/mqtt_session.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include <mqtt/async_client.h>
#include <spdlog/spdlog.h>

#include "messaging/prompt_sockets.hpp"

namespace messaging {

namespace {

using namespace std::chrono_literals;

constexpr auto first_retry = 500ms;
constexpr auto longest_retry = 15s;
constexpr auto connect_timeout = 5s;
constexpr auto goodbye_patience = 250ms;
constexpr auto attempt_patience = 20s;  // Paho's own time-out comes long before
constexpr int max_buffered = 2000;      // QoS 0, not yet sent; Paho's own 100 are fewer than one reconnect publishes
// Bytes that arrived and wait for the loop: some 4000 short messages. More would mean that what is acted on is old.
constexpr std::int64_t max_backlog = 2L << 20;
constexpr int reason_error = 0x80;  // MQTT 5: this and above is a refusal
constexpr int reason_unsupported_version = 0x84;
constexpr int connack_v311_bad_version = 1;

// The answers of a 3.1.1 broker (CONNACK return codes); Paho has no words for them.
std::string connect_failure(int code) {
    constexpr std::array<const char*, 6> answers{"",
                                                 "unacceptable protocol version",
                                                 "client id rejected",
                                                 "broker unavailable",
                                                 "bad user name or password",
                                                 "not authorized"};
    if (code >= reason_error) {
        return mqtt::exception::reason_code_str(code);
    }
    if (code > 0 && static_cast<std::size_t>(code) < answers.size()) {
        return answers.at(static_cast<std::size_t>(code));
    }
    return code == MQTTASYNC_FAILURE ? "no connection" : mqtt::exception::error_str(code);
}

// 0 when there is none: Paho marks an answer of MQTT 3.1.1 with a number that is no reason code.
int reason_of(const mqtt::token& token) {
    const auto reason = token.get_reason_code();
    return reason == mqtt::ReasonCode::MQTTPP_V3_CODE ? 0 : static_cast<int>(reason);
}

}  // namespace

/// One Paho client for one protocol version, and its callbacks.
class MqttSession::Paho {
public:
    Paho(MqttSession& session, bool v5)
        : session_(session),
          attempt_(session.attempts_),
          v5_(v5),
          connect_listener_(*this),
          publish_listener_(*this, "publish"),
          subscribe_listener_(*this, "subscribe"),
          client_(uri(session.options_), session.options_.client_id, create_options(version())) {
        // Before connect(): a message that arrives with no callback installed is acknowledged and lost.
        client_.set_connected_handler([this](const std::string&) { post([](auto& s) { s.connection_made(); }); });
        client_.set_connection_lost_handler([this](const std::string&) { post([](auto& s) { s.connection_lost(); }); });
        client_.set_message_callback([this](const mqtt::const_message_ptr& message) { hand_over(*message); });
    }

    Paho(const Paho&) = delete;
    Paho& operator=(const Paho&) = delete;

    // Destroying a connected Paho client sends a clean DISCONNECT, which suppresses the will; so goodbye comes first.
    ~Paho() {
        try {
            if (client_.is_connected()) {
                if (!session_.options_.offline.topic.empty()) {
                    client_.publish(to_message(session_.options_.offline))->wait_for(goodbye_patience);
                }
                client_.disconnect(static_cast<int>(std::chrono::milliseconds(goodbye_patience).count()))
                    ->wait_for(goodbye_patience);
            }
        } catch (const std::exception& error) {
            spdlog::debug("MQTT goodbye: {}", error.what());
        }
    }

    void connect() { client_.connect(connect_options(), nullptr, connect_listener_); }

    void publish(const Publication& publication) {
        if (publication.qos == 0) {
            client_.publish(to_message(publication));
        } else {
            client_.publish(to_message(publication), mark(), publish_listener_);
        }
    }

    void subscribe(const std::string& filter, int qos) { client_.subscribe(filter, qos, nullptr, subscribe_listener_); }

    bool is_v5() const { return v5_; }

private:
    struct ConnectListener final : mqtt::iaction_listener {
        explicit ConnectListener(Paho& owner) : paho(owner) {}
        void on_success(const mqtt::token& /*token*/) override {}  // the connected handler is the reliable signal
        void on_failure(const mqtt::token& token) override {
            // Paho puts the broker's reason sometimes here, sometimes there.
            const int reason = reason_of(token);
            const int code = reason >= reason_error ? reason : token.get_return_code();
            const bool version_refused =
                paho.v5_ && (code == reason_unsupported_version || code == connack_v311_bad_version);
            std::string cause = connect_failure(code);
            paho.post(
                [cause = std::move(cause), version_refused](auto& s) { s.connect_failed(cause, version_refused); });
        }
        Paho& paho;
    };

    struct ActionListener final : mqtt::iaction_listener {
        ActionListener(Paho& owner, const char* action) : paho(owner), what(action) {}
        void on_success(const mqtt::token& token) override { done(token, false); }
        void on_failure(const mqtt::token& token) override { done(token, true); }
        void done(const mqtt::token& token, bool failed) {
            if (what == std::string_view("publish")) {
                paho.post([&owner = paho, mark = token.get_user_context()](auto& s) {
                    if (mark == owner.mark()) {
                        s.answered();
                    }
                });
            }
            const int reason = refusal(token);
            if (!failed && reason < reason_error) {
                return;
            }
            const auto topics = token.get_topics();
            const std::string topic = topics && !topics->empty() ? (*topics)[0] : std::string("?");
            paho.post([action = std::string(what), topic, reason](auto& s) { s.refused(action, topic, reason); });
        }
        Paho& paho;
        const char* what;
    };

    // Tells publications of this connection from those of earlier ones, whose answers may still come. On the loop.
    void* mark() { return &marks_.at(static_cast<std::size_t>(session_.statistics_.connects) % marks_.size()); }

    // A SUBACK has one answer a filter; a PUBACK has one reason (none in MQTT 3.1.1).
    static int refusal(const mqtt::token& token) {
        // MQTT 3.1.1: Paho hands the code of a refused subscription over as an error.
        const int reason = std::max(reason_of(token), token.get_return_code());
        if (reason >= reason_error || token.get_type() != mqtt::token::Type::SUBSCRIBE) {
            return reason;
        }
        try {
            const auto response = token.get_subscribe_response();
            const auto& codes = response.get_reason_codes();
            return codes.empty() ? reason : static_cast<int>(codes.front());
        } catch (const std::exception&) {
            return reason;  // no answer: the connection broke
        }
    }

    // On Paho's thread. What the loop cannot keep up with is dropped, not piled up.
    void hand_over(const mqtt::message& message) {
        constexpr std::int64_t overhead = 500;
        const auto size = static_cast<std::int64_t>(message.get_payload().size()) + overhead;
        if (backlog_.fetch_add(size) + size > max_backlog) {
            backlog_ -= size;
            ++lost_;
            return;
        }
        post([this, size, delivery = to_delivery(message)](auto& s) {
            backlog_ -= size;
            s.arrived(delivery, lost_.exchange(0));
        });
    }

    static std::string uri(const MqttOptions& options) {
        return (options.tls ? "ssl://" : "tcp://") + options.host + ":" + std::to_string(options.port);
    }

    // Not by the constructor that takes both: it also makes Paho keep messages while there is no connection.
    static mqtt::create_options create_options(int version) {
        mqtt::create_options options(version);
        options.set_max_buffered_messages(max_buffered);
        return options;
    }

    int version() const { return v5_ ? MQTTVERSION_5 : MQTTVERSION_3_1_1; }

    template <class Action>
    void post(Action action) {
        session_.scope_.post([&session = session_, attempt = attempt_, action = std::move(action)] {
            if (session.attempts_ == attempt) {
                action(session);
            }
        });
    }

    mqtt::message_ptr to_message(const Publication& publication) const {
        auto message =
            mqtt::make_message(publication.topic, publication.payload, publication.qos, publication.retained);
        if (!v5_) {
            return message;
        }
        mqtt::properties properties;
        if (publication.expires_after > 0s) {
            const auto seconds = static_cast<int>(publication.expires_after.count());
            properties.add(mqtt::property(mqtt::property::MESSAGE_EXPIRY_INTERVAL, seconds));
        }
        if (!publication.response_topic.empty()) {
            properties.add(mqtt::property(mqtt::property::RESPONSE_TOPIC, publication.response_topic));
        }
        if (!publication.correlation_data.empty()) {
            properties.add(mqtt::property(mqtt::property::CORRELATION_DATA, publication.correlation_data));
        }
        message->set_properties(properties);
        return message;
    }

    static Delivery to_delivery(const mqtt::message& message) {
        Delivery delivery{.topic = message.get_topic(),
                          .payload = message.get_payload_str(),
                          .retained = message.is_retained(),
                          .response_topic = "",
                          .correlation_data = ""};
        const auto& properties = message.get_properties();
        if (properties.contains(mqtt::property::RESPONSE_TOPIC)) {
            delivery.response_topic = mqtt::get<std::string>(properties, mqtt::property::RESPONSE_TOPIC);
        }
        if (properties.contains(mqtt::property::CORRELATION_DATA)) {
            delivery.correlation_data = mqtt::get<std::string>(properties, mqtt::property::CORRELATION_DATA);
        }
        return delivery;
    }

    mqtt::connect_options connect_options() const {
        const auto& options = session_.options_;
        mqtt::connect_options_builder builder;
        builder.mqtt_version(version()).keep_alive_interval(options.keep_alive).connect_timeout(connect_timeout);
        // Paho refuses the flag of the other protocol version (-15).
        if (v5_) {
            builder.clean_start(true);
            // No connect properties: copying them makes Paho C++ 1.2.0 read freed memory (its #445).
        } else {
            builder.clean_session(true);
        }
        if (!options.offline.topic.empty()) {
            builder.will(*to_message(options.offline));
        }
        if (!options.username.empty()) {
            builder.user_name(options.username).password(options.password);
        }
        if (options.tls) {
            builder.ssl(ssl_options(*options.tls));
        }
        return builder.finalize();
    }

    static mqtt::ssl_options ssl_options(const MqttTls& tls) {
        mqtt::ssl_options ssl;
        if (!tls.ca_file.empty()) {
            ssl.set_trust_store(tls.ca_file);
        }
        if (!tls.certificate_file.empty()) {
            ssl.set_key_store(tls.certificate_file);
            ssl.set_private_key(tls.key_file);
        }
        ssl.set_enable_server_cert_auth(tls.verify);
        ssl.set_verify(tls.verify);
        return ssl;
    }

    MqttSession& session_;
    std::uint64_t attempt_;
    bool v5_;
    std::array<char, 16> marks_{};
    std::atomic<std::int64_t> backlog_{0};
    std::atomic<std::uint64_t> lost_{0};
    ConnectListener connect_listener_;
    ActionListener publish_listener_;
    ActionListener subscribe_listener_;
    mqtt::async_client client_;  // last: its threads use all of the above until it is gone
};

MqttSession::MqttSession(MqttOptions options, scheduling::Scheduler& loop, std::function<void(std::string)> on_fatal)
    : loop_(loop),
      options_(std::move(options)),
      on_fatal_(std::move(on_fatal)),
      using_v5_(options_.protocol != MqttProtocol::v311),
      back_off_(first_retry),
      started_at_(loop.now()),
      scope_(loop),
      attempt_deadline_(loop) {}

MqttSession::~MqttSession() {
    if (connected_) {
        // Last words; no loop runs any more that would hear of answers.
        for (const auto& publication : outbox_.take_waiting()) {
            hand_to_paho(publication);
        }
    }
}

void MqttSession::start() { connect(); }

void MqttSession::connect() {
    try {
        // One client for every attempt: to destroy Paho's last client stops its threads, which takes up to a second.
        if (!paho_ || paho_->is_v5() != using_v5_) {
            paho_.reset();
            ++attempts_;
            paho_ = std::make_unique<Paho>(*this, using_v5_);
        }
        paho_->connect();
        attempt_deadline_.set_after(attempt_patience, [this] { give_up_attempt(); });
    } catch (const std::exception& error) {
        connect_failed(error.what(), false);
    }
}

// Paho said neither yes nor no: its client is not to be trusted any more.
void MqttSession::give_up_attempt() {
    ++attempts_;
    paho_.reset();
    connect_failed("no answer at all", false);
}

void MqttSession::connect_failed(const std::string& cause, bool version_refused) {
    attempt_deadline_.cancel();
    if (version_refused && options_.protocol == MqttProtocol::automatic) {
        spdlog::info("MQTT: the broker does not speak MQTT 5, using 3.1.1");
        using_v5_ = false;
        scope_.post([this] { connect(); });
        return;
    }
    if (logged_failure_ != cause) {
        logged_failure_ = cause;
        spdlog::warn("MQTT: {}:{} does not let user \"{}\" in ({}), trying again for ever", options_.host,
                     options_.port, options_.username, cause);
    }
    retry_later();
}

void MqttSession::retry_later() {
    scope_.call_after(back_off_, [this] { connect(); });
    back_off_ = std::min<std::chrono::milliseconds>(back_off_ * 2, longest_retry);
}

void MqttSession::connection_made() {
    if (connected_) {
        return;
    }
    attempt_deadline_.cancel();
    connected_ = true;
    connected_at_ = loop_.now();
    logged_failure_.clear();
    logged_refusals_.clear();
    overflow_logged_ = false;
    back_off_ = first_retry;
    ++statistics_.connects;
    send_at_once_to(options_.port);
    spdlog::info("MQTT: connected to {}:{} (MQTT {}) as {}", options_.host, options_.port, using_v5_ ? "5" : "3.1.1",
                 options_.client_id);
    restore();
    for (const auto handlers = connection_handlers_; const auto& handler : handlers) {  // a copy: one may add another
        handler(true);
    }
}

// Neither the broker nor Paho can be trusted to remember anything.
void MqttSession::restore() {
    for (const auto& subscription : subscriptions_) {
        request(subscription.filter, subscription.qos);
    }
    if (!options_.online.topic.empty()) {
        send(options_.online);
    }
    for (const auto& [topic, kept] : retained_) {
        const auto lifetime = kept.publication.expires_after;
        if (lifetime == 0s || loop_.now() - kept.since < lifetime) {
            send(kept.publication);
        }
    }
    for (const auto waiting = std::exchange(waiting_, {}); const auto& publication : waiting) {
        send(publication);
    }
}

void MqttSession::connection_lost() {
    if (!connected_) {
        return;
    }
    connected_ = false;
    ++statistics_.connection_losses;
    spdlog::warn("MQTT: connection to {}:{} lost", options_.host, options_.port);
    for (const auto& publication : outbox_.take_waiting()) {
        if (!publication.retained) {  // those are kept, with their age
            publish(publication);
        }
    }
    for (const auto handlers = connection_handlers_; const auto& handler : handlers) {  // a copy: one may add another
        handler(false);
    }
    retry_later();
    notify_of_takeover();
}

// Mosquitto 2.0 does not say why it closes; a connection that dies young again and again is a second copy of us.
// The younger process gives way first, so that the one in charge stays.
void MqttSession::notify_of_takeover() {
    constexpr auto young = 5s;
    const auto now = loop_.now();
    quick_losses_ = now - connected_at_ < young ? quick_losses_ + 1 : 0;
    const int patience = now - started_at_ < 60s ? 3 : 12;
    if (quick_losses_ >= patience) {
        on_fatal_("MQTT: the broker drops client id " + options_.client_id +
                  " right after every connect: another copy of this service is running");
    }
}

void MqttSession::publish(const Publication& publication) {
    if (!is_valid_topic(publication.topic)) {
        spdlog::error("MQTT: not a topic to publish to: \"{}\"", publication.topic);
        return;
    }
    if (publication.retained) {
        retained_[publication.topic] = {publication, loop_.now()};
    }
    if (connected_) {
        send(publication);
    } else if (!publication.retained && publication.qos > 0 && publication.expires_after == 0s) {
        waiting_.push_back(publication);
        if (waiting_.size() > max_waiting_publications) {
            waiting_.pop_front();
            ++statistics_.dropped;
        }
    } else if (!publication.retained) {
        ++statistics_.dropped;
    }
}

void MqttSession::send(const Publication& publication) {
    if (publication.qos == 0) {
        hand_to_paho(publication);
    } else if (outbox_.add(publication, loop_.now())) {
        send_waiting();
    } else {
        ++statistics_.dropped;
    }
}

bool MqttSession::hand_to_paho(const Publication& publication) {
    try {
        paho_->publish(publication);
        ++statistics_.published;
        return true;
    } catch (const std::exception& error) {
        ++statistics_.dropped;
        spdlog::debug("MQTT: not published to {}: {}", publication.topic, error.what());
        return false;
    }
}

void MqttSession::send_waiting() {
    const auto expired_before = outbox_.expired();
    while (const auto publication = outbox_.next(loop_.now())) {
        if (!hand_to_paho(*publication)) {
            outbox_.done(loop_.now());
            break;  // the connection may be gone; what waits is not lost with it
        }
    }
    statistics_.dropped += outbox_.expired() - expired_before;
}

void MqttSession::answered() {
    if (connected_) {
        outbox_.done(loop_.now());
        send_waiting();
    }
}

void MqttSession::subscribe(const std::string& filter, int qos, Handler handler) {
    if (!is_valid_filter(filter)) {
        spdlog::error("MQTT: not a filter to subscribe to: \"{}\"", filter);
        return;
    }
    subscriptions_.push_back({filter, qos, std::move(handler)});
    if (connected_) {
        request(filter, qos);
    }
}

void MqttSession::request(const std::string& filter, int qos) {
    try {
        paho_->subscribe(filter, qos);
    } catch (const std::exception& error) {
        // The connection broke just now: the next one asks again.
        spdlog::debug("MQTT: not subscribed to {}: {}", filter, error.what());
    }
}

void MqttSession::on_connection_change(std::function<void(bool)> handler) {
    connection_handlers_.push_back(std::move(handler));
}

void MqttSession::arrived(const Delivery& delivery, std::uint64_t lost_before) {
    statistics_.dropped += lost_before;
    if (lost_before > 0 && !overflow_logged_) {
        overflow_logged_ = true;
        spdlog::error("MQTT: messages arrive faster than they can be handled, {} were dropped", lost_before);
    }
    // A copy of those meant: a handler may subscribe to more.
    std::vector<Handler> meant;
    for (const auto& subscription : subscriptions_) {
        if (matches(subscription.filter, delivery.topic)) {
            meant.push_back(subscription.handler);
        }
    }
    for (const auto& handler : meant) {
        handler(delivery);
    }
}

void MqttSession::refused(const std::string& what, const std::string& topic, int reason_code) {
    if (reason_code < reason_error) {
        ++statistics_.dropped;  // in flight when the connection broke
        return;
    }
    ++statistics_.refused;
    if (logged_refusals_.insert(what + topic).second) {
        spdlog::error("MQTT: {} {} was refused for user \"{}\": {} (0x{:02x})", what, topic, options_.username,
                      mqtt::exception::reason_code_str(reason_code), reason_code);
    }
}

}  // namespace messaging
