"""A network for MNIST in 20 lines: the data, the model, the loop, the result."""

import numpy as np

from tinygrad_mnist import mnist, nn, no_grad, ops, optim

(images, labels), (test_images, test_labels) = mnist.load()
x, x_test = (i.reshape(-1, 784).astype(np.float32) / 255 for i in (images, test_images))
model = nn.MLP((784, 128, 64, 10), rng=0)
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
epochs, rng = 2, np.random.default_rng(0)
schedule = optim.CosineLR(optimizer, total_steps=epochs * len(x) // 32)
for epoch in range(epochs):
    for batch in rng.permutation(len(x)).reshape(-1, 32):
        loss = ops.cross_entropy(model(x[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with no_grad():
        right = model(x_test).argmax(axis=1) == test_labels
    print(f"epoch {epoch + 1}: {right.mean():.2%} of {len(right):,} test images right")
