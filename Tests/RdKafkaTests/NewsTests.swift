import Testing

@testable import RdKafka

@Suite struct NewsTests {
    /// The parts that matter of what librdkafka 2.0.2 says of two brokers.
    private func statistics(_ disconnects: Int, _ other: Int, throttled: Int) -> String {
        """
        { "name": "rdkafka#producer-1", "brokers":{ "a:1/bootstrap": { "name":"a:1/bootstrap", "connects":9, \
        "disconnects":\(disconnects), "int_latency": { "min":0, "sum":777 }, "rtt": { "min":1, "max":2, "avg":1, "sum":999 }, \
        "throttle": { "min":0, "max":12, "avg":3, "sum":\(throttled), "stddev": 1 } } , \
        "b:1/2": { "disconnects": \(other), "throttle": { "min":0, "max":0, "avg":0, "sum":5 } } }, \
        "topics":{ "t": { "batchsize": { "sum":444 } } } }
        """
    }

    @Test func connectionsAreCountedOnceAndThrottlingEachTime() {
        let meter = Meter()
        #expect(
            meter.take(statistics(1, 2, throttled: 100).utf8)
                == RdKafkaNews(lostConnections: 3, throttledMilliseconds: 105))
        #expect(
            meter.take(statistics(1, 2, throttled: 0).utf8) == RdKafkaNews(lostConnections: 0, throttledMilliseconds: 5)
        )
        #expect(
            meter.take(statistics(4, 2, throttled: 7).utf8)
                == RdKafkaNews(lostConnections: 3, throttledMilliseconds: 12))
    }

    @Test(arguments: ["", "{", "\"disconnects\":", "\"throttle\":\"sum\":", "\"disconnects\":99999999999999999999999"])
    func whatIsNoStatisticsIsNothing(text: String) {
        #expect(Meter().take(text.utf8) == RdKafkaNews(lostConnections: 0, throttledMilliseconds: 0))
    }

    @Test func aHandlesTextsHoldNoSecretOfItsOwn() {
        let properties = HandleProperties(values: [
            "sasl.password": "pw-12345", "ssl.key.pem": "-----KEY", "client.id": "node-1", "ssl.key.password": "abc",
        ])
        let said = RdKafkaError(.failed, "bad pw-12345 of node-1 in -----KEY, pw-12345").without(properties.secrets)
        #expect(said.message == "bad *** of node-1 in ***, ***")
    }
}
