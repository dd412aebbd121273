// ANCHOR: test
use netlab::{Netns, Result, VethPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[netlab::test]
async fn two_tasks_in_two_machines() -> Result<()> {
    let (client, server) = (Netns::new("client")?, Netns::new("server")?);
    let _cable = VethPair::connect(
        client.iface("eth0").addr("10.0.0.1/24"),
        server.iface("eth0").addr("10.0.0.2/24"),
    )?;

    let (tell, listens) = tokio::sync::oneshot::channel();
    let greeter = server.spawn(async move {
        let listener = TcpListener::bind("10.0.0.2:7000").await?;
        tell.send(()).ok();
        let (mut stream, from) = listener.accept().await?;
        stream.write_all(b"hello").await?;
        std::io::Result::Ok(from.ip())
    })?;
    let caller = client.spawn(async move {
        listens.await.ok();
        let mut text = String::new();
        TcpStream::connect("10.0.0.2:7000").await?.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    })?;

    assert_eq!(caller.await?.unwrap(), "hello");
    assert_eq!(greeter.await?.unwrap().to_string(), "10.0.0.1");
    Ok(())
}
// ANCHOR_END: test
