"""Services that go away and come back"""

from fake_service import FakeService, assign, hang
from trial import AGAIN, Agent, good, hold, judge, recover, serve


def test_restart_while_it_is_polled():
    """The service ends during the long poll and is there again at once, at its port.
    Backs off and polls the new one; warns only where that takes three tries.
    """
    with serve() as service, hold(service.port), Agent(service.endpoint) as agent:
        service.wait_created(1)
        service.stop()
        with FakeService(port=service.port) as second:
            recover(agent, second, lambda: good(second))
            agent.finish()
            assert len(agent.said("WARNING")) <= 1


def test_restart_while_it_collects():
    """The service ends while a profile is collected, and is there again in time.
    Hands the profile in to the new one, over a new connection.
    """
    with serve() as service, hold(service.port):
        service.create_default = assign("WALL", 2)
        with Agent(service.endpoint) as agent:
            agent.program.wait_collecting()
            service.stop()
            with FakeService(port=service.port) as second:
                found = second.wait_updated(1)[0].request.profile
                assert found.name == "projects/local/profiles/1"
                second.wait_created(1)
                agent.assert_alive()
                judge(agent)


def test_restart_during_an_upload():
    """The service ends during an upload, and is there again at once, at its port.
    Hands in the same bytes two seconds later.
    """
    with serve(update_default=hang) as service, hold(service.port):
        service.create_default = assign("WALL", 0.1)
        with Agent(service.endpoint) as agent:
            lost = service.wait_updated(1)[0]
            service.stop()
            with FakeService(port=service.port) as second:
                assert second.wait_updated(1)[0].raw == lost.raw
                second.wait_created(1)
                agent.assert_alive()
                judge(agent)


def test_away_and_back():
    """The service is away for many tries, and comes back at its port.
    Warns at the third failure; backs off; says once that it is over.
    """
    with serve() as service, hold(service.port), Agent(service.endpoint) as agent:
        good(service)
        service.wait_updated(1)
        service.create_default = hang
        agent.program.wait_agent_rests()
        service.stop()
        agent.wait_failures(8)
        agent.assert_alive()
        with FakeService(port=service.port) as second:
            recover(agent, second, lambda: good(second))
            judge(agent, ["UNAVAILABLE: "])


def test_away_and_back_three_times():
    """The service is away three times.
    Warns once each time, and says once each time that it is over.
    """
    with serve() as service, hold(service.port) as port:
        failures = 0
        good(service)
        with Agent(service.endpoint) as agent:
            service.wait_updated(1)
            service.create_default = hang
            agent.program.wait_agent_rests()
            service.stop()
            for outage in range(3):
                failures += 4
                agent.wait_failures(failures)
                with FakeService(port=port) as again:
                    again.on_create.append(assign("WALL", 0.1))
                    again.wait_updated(1)
                    again.wait_created(2)
                    agent.wait_said(AGAIN, outage + 1)
                    failures = len(agent.delays())
            agent.assert_alive()
            agent.finish()
            assert len(agent.said("WARNING")) == 3


def test_a_service_that_dies_for_good():
    """The service ends during the long poll and never comes back.
    Warns at the third failure; backs off; ends with the program.
    """
    with serve() as service, hold(service.port), Agent(service.endpoint) as agent:
        service.wait_created(1)
        service.stop()
        agent.wait_failures(8)
        agent.assert_alive()
        agent.finish()
        assert len(agent.said("WARNING")) == 1
